"""Classifiers: timm backbones that show a feature on the way, with two heads."""
