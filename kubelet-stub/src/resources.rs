//! The resources that a kubelet asks for, by name.

use tinyplane_wire::gvr::Gvr;

pub(crate) fn pods() -> Gvr {
    Gvr::new("", "v1", "pods")
}

pub(crate) fn nodes() -> Gvr {
    Gvr::new("", "v1", "nodes")
}

pub(crate) fn events() -> Gvr {
    Gvr::new("", "v1", "events")
}

pub(crate) fn services() -> Gvr {
    Gvr::new("", "v1", "services")
}

pub(crate) fn service_accounts() -> Gvr {
    Gvr::new("", "v1", "serviceaccounts")
}

pub(crate) fn endpoint_slices() -> Gvr {
    Gvr::new("discovery.k8s.io", "v1", "endpointslices")
}

pub(crate) fn leases() -> Gvr {
    Gvr::new("coordination.k8s.io", "v1", "leases")
}
