//! The floor of a push: a whole snapshot as bytes over raw TCP to every other process, each of which decodes it, compares its own
//! part with what it had, and answers; the process that sends does so, too. Nothing is started, kept, merged or secured.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail, ensure};
use enact::io::{clock::Stopwatch, engine::codec};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::runtime;
use crate::{
    child::Process,
    push::{LARGE, N_CHANGES, SMALL},
    remote::Latencies,
    rows::Sample,
};

/// An element of the plain model: about as large as an instance with three values.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Element {
    name: String,
    node: u64,
    type_name: String,
    version: String,
    is_started: bool,
    values: BTreeMap<String, String>,
}

fn model(n: u64, n_nodes: u64) -> Vec<Element> {
    let element = |nth: u64| Element {
        name: format!("device{nth}"),
        node: nth % n_nodes,
        type_name: "bench.Device".to_owned(),
        version: "1.0.0".to_owned(),
        is_started: true,
        values: [("label", "x"), ("level", "10"), ("period", "1s")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    };
    (0..n).map(element).collect()
}

/// What a process knows of its own part.
struct Part {
    node: u64,
    mine: BTreeMap<String, Element>,
}

impl Part {
    fn of(node: u64) -> Part {
        Part { node, mine: BTreeMap::new() }
    }

    /// Takes up a snapshot; gives how many elements differ.
    fn take(&mut self, bytes: &[u8]) -> Result<u64> {
        let all: Vec<Element> = codec::decode(bytes, codec::LIMIT_DEFAULT)?;
        let own = all.into_iter().filter(|element| element.node == self.node);
        let own: BTreeMap<String, Element> = own.map(|element| (element.name.clone(), element)).collect();
        let differs = own.iter().filter(|(name, element)| self.mine.get(*name) != Some(element)).count();
        let gone = self.mine.keys().filter(|name| !own.contains_key(*name)).count();
        self.mine = own;
        Ok((differs + gone) as u64)
    }
}

/// Another process of the floor: takes snapshots until the connection ends.
pub(crate) fn other(words: &[&str]) -> Result<()> {
    let [node, address] = words else { bail!("a number and an address") };
    let mut part = Part::of(node.parse()?);
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut line = TcpStream::connect(address).await?;
        line.set_nodelay(true)?;
        let mut bytes = Vec::new();
        loop {
            let Ok(length) = line.read_u32_le().await else { return Ok(()) };
            bytes.resize(length as usize, 0);
            line.read_exact(&mut bytes).await?;
            line.write_u32_le(part.take(&bytes)? as u32).await?;
        }
    })
}

/// Sends a snapshot to all others, takes it up itself, and waits for all answers; gives the time and how many elements differed.
async fn round(part: &mut Part, lines: &mut Vec<TcpStream>, model: &[Element]) -> Result<(Duration, u64)> {
    let watch = Stopwatch::start();
    let bytes: std::sync::Arc<[u8]> = codec::encode(model)?.into();
    let mut under_way = JoinSet::new();
    for mut line in lines.drain(..) {
        let bytes = bytes.clone();
        under_way.spawn(async move {
            line.write_u32_le(bytes.len() as u32).await?;
            line.write_all(&bytes).await?;
            let differs = line.read_u32_le().await?;
            anyhow::Ok((line, u64::from(differs)))
        });
    }
    // The threads of the runtime send meanwhile: this is not one of them.
    let mut differs = part.take(&bytes)?;
    while let Some(answered) = under_way.join_next().await {
        let (line, n) = answered??;
        differs += n;
        lines.push(line);
    }
    Ok((watch.elapsed(), differs))
}

/// The rows of a push.
pub(crate) fn push(n_nodes: u64) -> Result<Sample> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let others: Result<Vec<Process>> =
            (1..n_nodes).map(|nth| Process::role(&["floor", &nth.to_string(), &address])).collect();
        let others = others?;
        let (mut part, mut lines) = (Part::of(0), Vec::new());
        for _ in &others {
            let (line, _) = listener.accept().await?;
            line.set_nodelay(true)?;
            lines.push(line);
        }
        round(&mut part, &mut lines, &[]).await?;
        let mut sample = Sample::new();
        for (figure, n) in [("small", SMALL), ("large", LARGE)] {
            let (elapsed, differs) = round(&mut part, &mut lines, &model(n, n_nodes)).await?;
            ensure!(differs > 0, "nothing differed");
            sample.insert(figure, elapsed.as_secs_f64() * 1e3);
        }
        let mut latencies = Latencies::of(N_CHANGES);
        let mut changed = model(LARGE, n_nodes);
        for nth in 0..N_CHANGES {
            changed[nth as usize * 7].values.insert("label".to_owned(), format!("change{nth}"));
            let (elapsed, differs) = round(&mut part, &mut lines, &changed).await?;
            ensure!(differs == 1, "{differs} elements differed");
            latencies.note(elapsed);
        }
        sample.insert("attribute", latencies.in_ms()["ms"]);
        Ok(sample)
    })
}
