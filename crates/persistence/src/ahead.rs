//! Reading the state before of records that are about to be deleted, while the transaction is busy with what is new.
//!
//! A connection of its own sees what is committed. The source's row is locked, so that nobody else changes the source's
//! records: what is committed is the state before the transaction.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use rollcall_domain::ports::StoredRecord;
use rollcall_domain::{Kind, SourceId, SourcedId};

use crate::connection::Connection;
use crate::reads;

/// Records of a kind that are needed together.
pub(crate) type Chunk = (Kind, Vec<SourcedId>);

/// Records on their way, in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Ahead {
    asked: VecDeque<Chunk>,
    reader: Option<(Receiver<Vec<StoredRecord>>, JoinHandle<Connection>)>,
}

impl Ahead {
    /// Begins to read. All of it may come to be in memory at once.
    pub(crate) fn begin(mut connection: Connection, source: SourceId, chunks: Vec<Chunk>) -> Self {
        let (sender, receiver) = sync_channel(chunks.len());
        let asked = chunks.iter().cloned().collect();
        let read = move || {
            for (kind, ids) in chunks {
                // Whoever waits reads for itself then, and meets the error.
                let Ok(page) = reads::stored(&mut connection, source, kind, &ids) else { break };
                if sender.send(page).is_err() {
                    break;
                }
            }
            connection
        };
        match std::thread::Builder::new().name("read-ahead".to_owned()).spawn(read) {
            Ok(thread) => Self { asked, reader: Some((receiver, thread)) },
            Err(_) => Self::default(),
        }
    }

    /// These records, if they are what comes next.
    pub(crate) fn take(&mut self, kind: Kind, ids: &[SourcedId]) -> Option<Vec<StoredRecord>> {
        let (receiver, _) = self.reader.as_ref()?;
        self.asked.pop_front_if(|(of, asked)| *of == kind && asked == ids)?;
        receiver.recv().ok()
    }

    /// Stops reading, and gives the connection back.
    pub(crate) fn end(self) -> Option<Connection> {
        let (receiver, thread) = self.reader?;
        drop(receiver);
        thread.join().ok()
    }
}
