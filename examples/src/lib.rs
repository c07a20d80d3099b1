//! Programs that embed the runner: see the `.rs` files beside `Cargo.toml`.
