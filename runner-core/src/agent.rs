//! What an agent that runs a job elsewhere is told, and how it tells what becomes of it.
//!
//! Whoever starts an agent gives it the [`JobSpec`](crate::JobSpec) and an [`Order`]. The agent writes [frames](Frame)
//! to a stream that is kept for it, such as the standard output of a container, and leaves an [`EndRecord`]. A reader
//! may read the stream again from any moment: frames are numbered, and what is known is dropped.

mod channel;
mod frame;
mod link;
mod order;
mod record;

pub use channel::{ChannelFault, ChannelFrame, ChannelMessage, ChannelReader, LARGEST_DATA};
pub use frame::{Damage, Frame, FrameBody, FrameReader, FrameWriter, Read};
pub use link::ChannelLink;
pub use order::{AwaitedService, LogStart, Order, Reports};
pub use record::{AgentEvent, EndRecord};
