//! Boxed futures and streams, so that the traits of nodes and stores can be trait objects, and boxed
//! errors.

use std::{error::Error, pin::Pin};

use futures_core::Stream;

/// Any error, boxed.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;
