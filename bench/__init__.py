"""Speed, as ratios against etcd itself in the same run on the same machine."""
