//! What is done for a permitted call, by verb or subresource.

pub mod connect;
