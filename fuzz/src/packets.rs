//! Packets of Konnectivity.

use tinyplane_konnectivity_client::packet::Packet;

/// What gRPC writes before each message.
const FRAME_HEAD_BYTES: usize = 5;

/// What was decoded is encoded, and decoded again the same.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(packet) = Packet::decode(bytes) else { return };
    // Before the packet stand five bytes of gRPC's.
    let frame = packet.clone().encode();
    let again = Packet::decode(&frame[FRAME_HEAD_BYTES..]).expect("our own packets are read");
    assert_eq!(format!("{again:?}"), format!("{packet:?}"));
}
