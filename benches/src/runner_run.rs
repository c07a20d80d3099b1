//! What a manager costs that takes the jobs of a GitLab server and runs each in a pod: the binary itself, as a process, with
//! a fake server that the pods reach, on a real cluster, beside bare pods of the same run.
//!
//! The clocks are those of [`pod_startup`](crate::pod_startup). What the server saw is told by the server, which is a part
//! of this process.

mod course;
mod figures;
mod many;
mod options;
mod pods;
mod process;
mod server;
mod table;

pub use course::measure;
pub use figures::{Alone, Burst, Figures, Floor, Manager, Many};
pub use options::{HELP, Options};
pub use table::table;
