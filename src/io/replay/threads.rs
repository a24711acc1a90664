//! Capture files decoded by several threads: one reads, and hands each connection's frames to the pipeline that it is for.
//!
//! Frames travel in batches, copied once; batches come back empty to be filled again. A pipeline that has nothing to
//! decode is told the time all the same, as one that decodes everything would be.

use std::{
    path::Path,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
};

use super::{ReplayError, for_each_frame};
use crate::{
    packet::{Endpoint, Frame, Timestamp, link::LinkType, segment},
    pipeline::Pipeline,
};

/// Bytes of frames in a batch, about.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches on their way to a thread.
const BATCHES: usize = 8;

/// Frames for one thread, in order.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Place>,
    /// How far packet time has come.
    now: Timestamp,
}

/// A frame in a batch: its bytes are those up to `end`, from the frame before it on.
#[derive(Debug, Clone, Copy)]
struct Place {
    link: LinkType,
    timestamp: Timestamp,
    wire_length: u32,
    end: usize,
}

impl Batch {
    fn push(&mut self, link: LinkType, frame: &Frame<'_>) {
        self.bytes.extend_from_slice(frame.bytes);
        let Frame { timestamp, wire_length, .. } = *frame;
        self.frames.push(Place { link, timestamp, wire_length, end: self.bytes.len() });
    }

    fn decode(&mut self, pipeline: &mut Pipeline) {
        let mut start = 0;
        for Place { link, timestamp, wire_length, end } in self.frames.drain(..) {
            let bytes = self.bytes.get(start..end).unwrap_or_default();
            pipeline.frame(link, &Frame { timestamp, wire_length, bytes });
            start = end;
        }
        pipeline.tick(self.now);
        self.bytes.clear();
    }
}

/// Where the reader hands over one thread's frames.
struct Lane {
    filling: Batch,
    full: SyncSender<Batch>,
    empty: Receiver<Batch>,
}

impl Lane {
    /// Sends what there is. If the thread is gone, it has panicked, which joining it tells.
    fn flush(&mut self, now: Timestamp) {
        let next = self.empty.try_recv().unwrap_or_default();
        let mut batch = std::mem::replace(&mut self.filling, next);
        batch.now = now;
        let _ = self.full.send(batch);
    }
}

/// Decodes the files one after the other, as one capture, each connection by one of the pipelines.
///
/// # Errors
/// See [`ReplayError`]; what was decoded before stays counted.
///
/// # Panics
/// If a thread does.
pub fn replay<P: AsRef<Path>>(files: &[P], pipelines: &mut [Pipeline]) -> Result<(), ReplayError> {
    thread::scope(|scope| {
        let mut lanes = Vec::new();
        for (index, pipeline) in pipelines.iter_mut().enumerate() {
            let (full, batches) = mpsc::sync_channel::<Batch>(BATCHES);
            let (done, empty) = mpsc::sync_channel(BATCHES);
            let worker = move || {
                for mut batch in batches {
                    batch.decode(pipeline);
                    // More come back than are needed if the reader made new ones meanwhile.
                    let _ = done.try_send(batch);
                }
            };
            let spawned = thread::Builder::new().name(format!("replay-{index}")).spawn_scoped(scope, worker);
            spawned.map_err(ReplayError::Thread)?;
            lanes.push(Lane { filling: Batch::default(), full, empty });
        }
        files.iter().try_for_each(|file| read(file.as_ref(), &mut lanes))
    })
}

fn read(file: &Path, lanes: &mut [Lane]) -> Result<(), ReplayError> {
    let mut now = Timestamp(0);
    let result = for_each_frame(file, |link, frame| {
        now = now.onward(frame.timestamp);
        let index = lane_of(link, frame, lanes.len());
        let Some(lane) = lanes.get_mut(index) else { return };
        lane.filling.push(link, frame);
        if lane.filling.bytes.len() >= BATCH_BYTES {
            lane.flush(now);
        }
    });
    lanes.iter_mut().for_each(|lane| lane.flush(now));
    result.map(|_| ())
}

/// The same for both directions of a connection.
fn lane_of(link: LinkType, frame: &Frame<'_>, lanes: usize) -> usize {
    let Ok(segment) = segment::decode(link, frame) else { return 0 };
    let end = |endpoint: Endpoint| {
        let address = (endpoint.address ^ endpoint.address >> 64) as u64;
        address.rotate_left(16) ^ u64::from(endpoint.port)
    };
    let [one, other] = [end(segment.source), end(segment.destination)];
    // Fibonacci hashing: ports differ in their low bits.
    let hash = (one ^ other).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((hash * lanes as u64) >> 32) as usize
}
