# plugins of the kind stage
