//! A gate at which the writer waits while it is shut.

use std::sync::Arc;

/// Stops each thread that passes while it is shut.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<(std::sync::Mutex<State>, std::sync::Condvar)>);

#[derive(Default)]
struct State {
    shut: bool,
    visitor: bool,
}

impl Gate {
    pub(super) fn shut(&self) {
        self.0.0.lock().unwrap().shut = true;
    }

    pub(super) fn open(&self) {
        self.0.0.lock().unwrap().shut = false;
        self.0.1.notify_all();
    }

    pub(super) fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.visitor = state.shut;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |state| state.shut).unwrap());
    }

    pub(super) fn wait_for_visitor(&self) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| !state.visitor).unwrap());
    }
}
