//! Runs CI jobs on Kubernetes, each in a pod of its own. A manager needs neither exec nor attach.

mod api;
pub mod channel;
mod check;
pub mod client;
pub mod config;
pub mod executor;
mod journal;
pub mod pod;
mod pointer;
mod record;
mod relay;
mod removal;
mod replicas;
pub mod settings;
pub mod status;
mod watch;

pub use channel::{ShippedFile, SourceShipper};
pub use client::connect;
pub use executor::{KubernetesExecutor, KubernetesSettings};
