//! Stories: a whole cluster each, used as a person or a program would use it.

mod apps;
mod crash;
mod kubectl;
mod lifecycle;
mod pods;
mod scene;
