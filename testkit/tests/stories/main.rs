//! Stories: a whole cluster each, used as a person or a program would use it.

mod applying;
mod apps;
mod bad_input;
mod certificates;
mod charts;
mod compose;
mod crash;
mod custom;
mod cut_off;
mod endings;
mod foreground;
mod foreign;
mod isolation;
mod kubectl;
mod lifecycle;
mod links;
mod middle;
mod neighbours;
mod openssh;
mod pods;
mod quotas;
mod rest;
mod scene;
mod ssh;
mod tunnels;
mod workloads;
