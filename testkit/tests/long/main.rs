//! Stories that take minutes: many nodes and pods, large copies, a soak. `./test --full` runs them.

mod copies;
#[path = "../stories/rest.rs"]
mod rest;
mod scale;
#[path = "../stories/scene.rs"]
#[expect(dead_code, reason = "the short stories use the rest of it")]
mod scene;
mod soak;
