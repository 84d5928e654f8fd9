//! What the crate logs while a test runs on its thread.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex},
};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

/// All events and spans of this thread, as text, from its beginning on.
pub(crate) struct Journal {
    lines: Arc<Mutex<String>>,
    _guard: DefaultGuard,
    /// As long as `tracing` knows of one subscriber only, an event that another thread logs first is
    /// off for this thread too.
    _second: Dispatch,
}

impl Journal {
    pub(crate) fn begin() -> Self {
        let lines = Arc::<Mutex<String>>::default();
        let guard = tracing::subscriber::set_default(Writer(lines.clone()));
        Self {
            lines,
            _guard: guard,
            _second: Dispatch::new(Writer(Arc::default())),
        }
    }

    pub(crate) fn lines(&self) -> String {
        self.lines.lock().unwrap().clone()
    }
}

struct Writer(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Writer {
    fn write(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line<'_>)) {
        let mut lines = self.0.lock().unwrap();
        write!(lines, "{} {}", metadata.level(), metadata.target()).unwrap();
        record(&mut Line(&mut lines));
        lines.push('\n');
    }
}

impl Subscriber for Writer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.write(span.metadata(), |line| span.record(line));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
