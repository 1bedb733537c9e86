"""What `visualize-masks` is made of, and the strip of masks that `train` keeps."""
