# plugins of the kind teacher
