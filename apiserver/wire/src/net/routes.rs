//! Routes of this machine, or of the container that is a node: set through netlink, without a program's help.

use super::netlink::{self, HEADER_BYTES, message};
use ipnet::IpNet;
use std::io;
use std::net::IpAddr;

/// Netlink's protocol for routes (`NETLINK_ROUTE`).
const ROUTES: i32 = 0;
/// The first interface of every network namespace: the loopback one.
const LOOPBACK: u32 = 1;

/// Kinds of messages: a new route, the end of one, and the answer to either.
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const ERROR: u16 = 2;
/// Flags of messages: a request that is answered; it takes the place of a route that is there; it makes one.
const REQUEST: u16 = 0x1 | 0x4;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
/// The kernel's word for a route that is not there (`ESRCH`).
const NO_SUCH_ROUTE: i32 = 3;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Every address of the range is this machine's own, as `ip route add local RANGE dev lo` makes it.
    Local(IpNet),
    /// The range lies behind a neighbour, as `ip route add RANGE via GATEWAY` says.
    Via {
        /// Which addresses.
        range: IpNet,
        /// Who knows the way.
        gateway: IpAddr,
    },
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(range) => write!(f, "local {range}"),
            Self::Via { range, gateway } => write!(f, "{range} via {gateway}"),
        }
    }
}

/// Sets routes, in the place of those that lead to the same ranges. Needs the capability `NET_ADMIN`.
///
/// # Errors
/// With the first route that the kernel refuses.
pub fn set_routes(routes: &[Route]) -> io::Result<()> {
    for route in routes {
        ask(&request(*route)).map_err(|error| io::Error::new(error.kind(), format!("route {route}: {error}")))?;
    }
    Ok(())
}

/// Takes the default route away, where there is one: what is not a neighbour is unreachable then, at once and by no
/// firewall's grace. Needs the capability `NET_ADMIN`.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_default_route() -> io::Result<()> {
    // Any scope (`RT_SCOPE_NOWHERE`), protocol and kind, of IPv4's table main.
    match ask(&message(DELETE_ROUTE, REQUEST, &[2, 0, 0, 0, 254, 0, 255, 0, 0, 0, 0, 0])) {
        Err(error) if error.raw_os_error() == Some(NO_SUCH_ROUTE) => Ok(()),
        outcome => outcome,
    }
}

/// Sends a message, and takes the kernel's word on it.
fn ask(message: &[u8]) -> io::Result<()> {
    judge(&netlink::ask(ROUTES, message)?)
}

/// The message that asks for a route (`RTM_NEWROUTE`), as rtnetlink(7) lays it out.
fn request(route: Route) -> Vec<u8> {
    // Of a local route: table local, scope host, kind local; of another one: table main, scope universe, kind unicast.
    let (range, [table, scope, kind]) = match route {
        Route::Local(range) => (range, [255, 254, 2]),
        Route::Via { range, .. } => (range, [254, 0, 1]),
    };
    let family = if range.addr().is_ipv4() { 2 } else { 10 };
    // Made by the administrator's hand (`RTPROT_STATIC`), and no flags.
    let mut body = vec![family, range.prefix_len(), 0, 0, table, 4, scope, kind, 0, 0, 0, 0];
    attribute(&mut body, 1, &octets(range.network()));
    match route {
        Route::Local(_) => attribute(&mut body, 4, &LOOPBACK.to_ne_bytes()),
        Route::Via { gateway, .. } => attribute(&mut body, 5, &octets(gateway)),
    }
    message(NEW_ROUTE, REQUEST | REPLACE | CREATE, &body)
}

/// Appends an attribute. The bytes of each are a multiple of four here, so that none needs padding.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).expect("an attribute is a number or an address");
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// What the kernel answered: nothing is wrong, or an error number of its own.
fn judge(answer: &[u8]) -> io::Result<()> {
    let unread = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer can't be understood");
    let code = answer.get(HEADER_BYTES..HEADER_BYTES + 4).and_then(|bytes| bytes.try_into().ok());
    match (netlink::kind(answer), code.map(i32::from_ne_bytes)) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(unread()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn requests_are_laid_out_as_the_kernel_reads_them() {
        let local = request(Route::Local("10.1.2.0/24".parse().unwrap()));
        let head = [44, 0, 0, 0, 24, 0, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(local[..16], head);
        assert_eq!(local[16..28], [2, 24, 0, 0, 255, 4, 254, 2, 0, 0, 0, 0]);
        assert_eq!(local[28..], [8, 0, 1, 0, 10, 1, 2, 0, 8, 0, 4, 0, 1, 0, 0, 0]);
        let via = Route::Via { range: "fd00:1::/64".parse().unwrap(), gateway: "fd00::2".parse().unwrap() };
        let via = request(via);
        assert_eq!(via[..4], u32::try_from(via.len()).unwrap().to_ne_bytes());
        assert_eq!(via[16..28], [10, 64, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
        assert_eq!((via[28], via[30], via[48], via[50]), (20, 1, 20, 5));
    }

    #[test]
    fn an_answer_is_taken_refused_or_not_understood() {
        let answer = |code: i32| {
            let mut answer = vec![0; HEADER_BYTES];
            answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
            answer.extend(code.to_ne_bytes());
            answer
        };
        assert!(judge(&answer(0)).is_ok());
        assert_eq!(judge(&answer(-1)).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(judge(&answer(-1)[..10]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_kernel_itself_answers() {
        // Nobody is the neighbour at an address for documentation: the kernel refuses, whether this user may set
        // routes or not, and whether there is a network or not.
        let nowhere = Route::Via { range: "203.0.113.0/24".parse().unwrap(), gateway: "198.51.100.1".parse().unwrap() };
        let refused = set_routes(&[nowhere]).unwrap_err().to_string();
        assert!(refused.starts_with("route 203.0.113.0/24 via 198.51.100.1: "), "{refused}");
        assert!(set_routes(&[]).is_ok());
    }
}
