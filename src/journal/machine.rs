use super::{Batch, JournalError};

/// A state machine in memory. It applies commands in order, and says what to write.
pub(crate) trait Machine: Send + 'static {
    /// What a caller asks for, with where to send the reply.
    type Command: Send + 'static;
    /// What a person does with damaged files.
    const DAMAGED: &'static str;
    /// What a person does who opened the folder twice.
    const OPEN_TWICE: &'static str;

    /// The reply to a command, and where to send it.
    type Reply;

    /// Forgets what the disk holds. [`load`](Self::load) brings it back.
    fn clear(&mut self);

    /// Loads a record that [`apply`](Self::apply) wrote.
    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError>;

    /// Ends a load: all records were loaded.
    fn loaded(&mut self);

    /// Notes what the disk must hold before the first command. Called once, after the load of a
    /// journal that was just opened.
    fn begin(&mut self, _: &mut Batch) {}

    /// Applies a command and notes what changed.
    fn apply(&mut self, command: Self::Command, batch: &mut Batch) -> Self::Reply;

    /// Sends a reply once its changes are written, or the failure if they were not. A command that
    /// is returned is applied again later.
    fn tell(reply: Self::Reply, written: Result<(), &JournalError>) -> Option<Self::Command>;

    /// Replies that the disk takes no writes now. A command that is returned is applied again
    /// later. Memory holds what the disk may hold, and more if a write failed. The next
    /// [`clear`](Self::clear) forgets what changes there meanwhile.
    fn refuse(&mut self, command: Self::Command, failure: &JournalError) -> Option<Self::Command>;
}
