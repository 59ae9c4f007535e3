//! The built-in images: what each one runs, serves and brings, by the name of its repository.

mod agnhost;
mod catalog;
mod servers;
mod web;

pub(crate) use agnhost::agnhost;
pub(crate) use catalog::{Image, STAND_IN, find};
pub(crate) use servers::{catch_ending, hello, httpd, nginx, wait_for_the_end};
pub(crate) use web::pod_page;

pub(crate) use super::machine::DEFAULT_PATH;
