//! The streaming protocols of exec, attach and port-forward, as both their ends speak them.
