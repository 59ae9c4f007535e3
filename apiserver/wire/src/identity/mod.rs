//! Who is who: certificates, TLS settings, service account tokens, kubeconfig files.

mod account_key;
mod curve;
mod der;
mod der_time;
pub mod kubeconfig;
pub mod pki;
pub mod request;
pub mod serving;
pub mod shaken;
pub mod stamp;
pub mod subject;
pub mod system;
pub mod tls;
pub mod token;
