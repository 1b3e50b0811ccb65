//! The vocabulary that every part of Philae shares: guest state, operations, regions.
//!
//! Frontends turn guest bytes into a [`Region`]; the passes in [`opt`] rewrite it in place; backends give it
//! behaviour. This crate has no `unsafe`, knows no operating system and no decoder.

#![forbid(unsafe_code)]

pub mod builder;
pub mod eval;
pub mod execute;
pub mod flow;
pub mod guards;
pub mod helper;
pub mod now;
pub mod ops;
pub mod opt;
pub mod processor;
pub mod region;
pub mod state;
pub mod text;
pub mod tiny;
pub mod ty;
pub mod uses;
pub mod verify;
pub mod went;

pub use builder::{Append, Builder, RegionBuilder, Sink};
pub use guards::Guards;
pub use helper::{Helper, HelperEffect};
pub use ops::{Barrier, Carry, Cond, Effect, FloatCond, FlowHint, IntCond, NanRule, Op, Ordering, RmwOp, Rounding};
pub use region::{Block, BlockId, ExitReason, Floats, Inst, Pc, Region, RuntimePage, Tags, Terminator, Value};
pub use state::{Arch, CpuState, Slot};
pub use ty::Ty;
