# plugins of the kind tracker
