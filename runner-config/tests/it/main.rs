//! Configs as people have them, through the public interface.

mod broken_configs;
mod defaults;
mod real_configs;
