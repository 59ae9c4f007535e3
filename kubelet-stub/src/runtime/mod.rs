//! What runs in a pod: the trait `Runtime`, the scripted one, and the built-in images.
