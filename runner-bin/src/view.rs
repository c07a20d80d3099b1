//! What a person sees of a run. All but `painter.rs` are pure: text in, text out.

mod ansi;
mod lines;
mod painter;
mod palette;
mod screen;
mod status;

pub(crate) use painter::Painter;
pub(crate) use palette::{Color, Palette};
pub(crate) use screen::{Screen, tame};
pub(crate) use status::{Room, phase_name};
