# plugins of the kind rejector
