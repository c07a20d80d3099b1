//! A source of jobs that outlives whoever runs them: the test process holds it, and the one that is killed asks it over
//! a Unix socket.
//!
//! What the server knows is in the [`Ledger`], which also notes every broken promise.

mod client;
mod ledger;
mod server;
mod wire;

pub use client::SocketSource;
pub use ledger::{Account, Ledger, Plan, State, Violation};
pub use server::{Moment, SourceServer, Trap};
pub use wire::CallKind;
