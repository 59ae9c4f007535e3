//! Which addresses a proxy may reach.

use std::net::IpAddr;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::{self, Status};

/// Insists that a proxy may reach an address: a global one, or one of this cluster's nodes, pods and Services.
///
/// # Errors
/// 400 `address not allowed`.
pub(super) fn permit(address: IpAddr, net: &ClusterNet) -> status::Result<()> {
    if is_global_unicast(address) || net.excepts(address) { Ok(()) } else { Err(refused()) }
}

/// As [`permit`], for a host that may be a name: all of its addresses have to be allowed.
///
/// # Errors
/// 400 `address not allowed`; 500 for a name that nobody knows.
pub(super) async fn permit_host(host: &str, net: &ClusterNet) -> status::Result<()> {
    if let Ok(address) = host.parse() {
        return permit(address, net);
    }
    let found = tokio::net::lookup_host((host, 0)).await;
    let found = found.map_err(|_| Status::failure(status::Reason::Unknown, format!("lookup {host}: no such host")))?;
    found.into_iter().try_for_each(|address| permit(address.ip(), net))
}

pub(super) fn refused() -> Box<Status> {
    Status::bad_request("address not allowed")
}

/// As Go's `IsGlobalUnicast`: private addresses are global, too.
fn is_global_unicast(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(link_local || address.is_loopback() || address.is_multicast() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_global_addresses_and_those_of_the_cluster_are_reached() {
        let net: ClusterNet = r#"{"controlPlane":"127.9.0.0/24","pods":"127.9.2.0/24"}"#.parse().unwrap();
        for (address, allowed) in [
            ("10.0.0.1", true),
            ("127.9.2.3", true),
            ("127.9.0.1", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("224.0.0.1", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(permit(address.parse().unwrap(), &net).is_ok(), allowed, "{address}");
        }
    }
}
