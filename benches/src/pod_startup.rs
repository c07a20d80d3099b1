//! How fast a job's pod starts, beside bare pods on the same cluster in the same run.
//!
//! All times are those of one clock, that of this process. In pods the clock is `/proc/uptime`, which every image with a
//! shell can read; what it is ahead of ours is measured for each node that was used. So nothing depends on the
//! clocks of machines being right.

pub(crate) mod audit;
pub(crate) mod bed;
pub(crate) mod clock;
mod course;
mod figures;
pub(crate) mod floor;
mod jobs;
mod options;
pub(crate) mod report;
pub(crate) mod requests;
pub(crate) mod statistics;
pub(crate) mod table;
mod usage;

pub use bed::{Access, Bed, access};
pub use course::measure;
pub use figures::{Alone, Burst, Figures, Floor, RequestFigures};
pub use options::{HELP, Options, Output};
pub use requests::Counts;
pub use statistics::Spread;
pub use table::table;
