//! Reading the state before of records that are about to be deleted, while the transaction is busy with others.
//!
//! A connection of its own sees what is committed. Nobody else can change the source's records meanwhile: on `PostgreSQL`
//! its row is locked, and `SQLite` has one writer. So what is committed is the state before the transaction.
//!
//! The transaction waits for the reader, so the reader must never wait for the transaction, which may have locked whole
//! tables: where it cannot read at once it stops, and the transaction reads for itself.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rollcall_domain::ports::StoredRecord;
use rollcall_domain::{Kind, SourceId, SourcedId};

use crate::connection::Connection;
use crate::reads;

/// Records of a kind that are needed together.
pub(crate) type Chunk = (Kind, Vec<SourcedId>);

/// Records that were asked for before they are needed, in order.
#[derive(Default)]
pub(crate) struct Ahead {
    asked: VecDeque<Chunk>,
    reader: Option<Reader>,
}

struct Reader {
    asks: Sender<Chunk>,
    answers: Receiver<Vec<StoredRecord>>,
    /// Gives the connection back, unless something failed on it.
    thread: JoinHandle<Option<Connection>>,
}

impl Ahead {
    /// Reads on this connection what is asked for.
    pub(crate) fn on(mut connection: Connection, source: SourceId) -> Self {
        let (asks, asked) = channel::<Chunk>();
        let (answer, answers) = channel();
        let read = move || {
            connection.wait_for_locks(false).ok()?;
            for (kind, ids) in asked {
                // Whoever waits reads for itself then, and meets the error if it is one.
                let page = reads::stored(&mut connection, source, kind, &ids).ok()?;
                if answer.send(page).is_err() {
                    break;
                }
            }
            connection.wait_for_locks(true).ok()?;
            Some(connection)
        };
        let reader = std::thread::Builder::new().name("read-ahead".to_owned()).spawn(read);
        Self { asked: VecDeque::new(), reader: reader.ok().map(|thread| Reader { asks, answers, thread }) }
    }

    /// How many chunks were asked for and not taken. All of them may be in memory.
    pub(crate) fn len(&self) -> usize {
        self.asked.len()
    }

    /// Asks for records.
    pub(crate) fn ask(&mut self, chunk: Chunk) {
        if let Some(reader) = &self.reader {
            // A reader that has stopped answers no more either.
            let _ = reader.asks.send(chunk.clone());
        }
        self.asked.push_back(chunk);
    }

    /// What was asked for first, with its records if they could be read. Waits for them.
    pub(crate) fn next(&mut self) -> Option<(Chunk, Option<Vec<StoredRecord>>)> {
        let chunk = self.asked.pop_front()?;
        Some((chunk, self.reader.as_ref().and_then(|reader| reader.answers.recv().ok())))
    }

    /// Stops reading, and gives the connection back if it is as good as new.
    pub(crate) fn end(self) -> Option<Connection> {
        let Reader { asks, answers, thread } = self.reader?;
        drop((asks, answers));
        thread.join().ok().flatten()
    }
}
