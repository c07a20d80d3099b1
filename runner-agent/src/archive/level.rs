//! How hard to compress.

/// A trade of time for size (`ARTIFACT_COMPRESSION_LEVEL`, `CACHE_COMPRESSION_LEVEL`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Level {
    /// Not at all.
    Fastest,
    /// As fast as compression goes.
    Fast,
    /// In between.
    #[default]
    Default,
    /// Smaller.
    Slow,
    /// As small as it goes.
    Slowest,
}

impl Level {
    /// The level of that name; an empty one is the default. `None`: there is no such level.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "fastest" => Self::Fastest,
            "fast" => Self::Fast,
            "" | "default" => Self::Default,
            "slow" => Self::Slow,
            "slowest" => Self::Slowest,
            _ => return None,
        })
    }

    /// The level of deflate; 0 stores.
    pub(super) fn deflate(self) -> u32 {
        match self {
            Self::Fastest => 0,
            Self::Fast => 1,
            Self::Default => 5,
            Self::Slow => 7,
            Self::Slowest => 9,
        }
    }
}
