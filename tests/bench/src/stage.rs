//! What the bench and the components that it watches share within a process: a gate that opens, and a bell at the end.

use std::{
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use anyhow::{Result, anyhow};
use tokio::sync::watch;

/// How long anything that is measured may take.
const END_MAX: Duration = Duration::from_secs(90);

static GATE: LazyLock<watch::Sender<Option<u64>>> = LazyLock::new(|| watch::Sender::new(None));

type Bell = (mpsc::Sender<Result<u64, String>>, Mutex<mpsc::Receiver<Result<u64, String>>>);
static BELL: LazyLock<Bell> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel();
    (sender, Mutex::new(receiver))
});

/// Opens the gate: everyone behind it does so many.
pub(crate) fn open(size: u64) {
    GATE.send_replace(Some(size));
}

/// Waits for the gate; gives how many are to be done.
pub(crate) async fn gate() -> u64 {
    let mut gate = GATE.subscribe();
    let open = gate.wait_for(Option::is_some).await;
    // The sender is never dropped.
    open.ok().and_then(|size| *size).unwrap_or_default()
}

/// Rings at the end: so many were counted, or something is wrong.
pub(crate) fn ring(counted: Result<u64, String>) {
    // The receiver is never dropped.
    let _ = BELL.0.send(counted);
}

/// Waits for so many rings, and adds up what was counted.
pub(crate) fn wait(n_rings: u64) -> Result<u64> {
    let bell = BELL.1.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sum = 0;
    for _ in 0..n_rings {
        let counted = bell.recv_timeout(END_MAX).map_err(|_| anyhow!("not everything arrived within {END_MAX:?}"))?;
        sum += counted.map_err(|wrong| anyhow!(wrong))?;
    }
    Ok(sum)
}

/// The next ring, however long it takes.
pub(crate) fn next() -> Result<u64> {
    let bell = BELL.1.lock().unwrap_or_else(PoisonError::into_inner);
    bell.recv()?.map_err(|wrong| anyhow!(wrong))
}

static STARTED: AtomicU64 = AtomicU64::new(0);

/// Counts a start method that has run.
pub(crate) fn started() {
    STARTED.fetch_add(1, Ordering::Relaxed);
}

/// How many start methods have run in this process.
pub(crate) fn n_started() -> u64 {
    STARTED.load(Ordering::Relaxed)
}
