# plugins of the kind judge
