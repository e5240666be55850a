//! Many nodes that know each other, with links of nothing but signs of life.

use super::*;

const N: usize = 50;
const TICK_MS: u64 = 50;

fn at_ms(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn sighting(idx: usize) -> Sighting {
    let name = format!("n{idx}");
    let peer = Peer { name: name.parse().unwrap(), incarnation: 1, role: Role::Node };
    Sighting { address: Address(name.into()), protocol: PROTOCOL, group: "g".into(), peer }
}

fn idx_of(address: &str) -> usize {
    address[1..].parse().unwrap()
}

struct Fleet {
    nodes: Vec<Peers>,
    /// By node and number of the link: to whom it is, whether the pace is slow, and when the next sign of life goes.
    links: Vec<BTreeMap<u64, (usize, bool, u64)>>,
    hung: BTreeSet<usize>,
    n_signs: usize,
    n_doubts: usize,
    told: Vec<(usize, PeerEvent)>,
}

impl Fleet {
    /// All of them up.
    fn of(n_nodes: usize) -> Fleet {
        let node = |idx| Peers::new(sighting(idx), "0".into(), "here".into(), Times::default(), Time(0));
        let mut fleet = Fleet {
            nodes: (0..n_nodes).map(node).collect(),
            links: vec![BTreeMap::new(); n_nodes],
            hung: BTreeSet::new(),
            n_signs: 0,
            n_doubts: 0,
            told: Vec::new(),
        };
        for idx in 0..n_nodes {
            let mut effects = Vec::new();
            fleet.nodes[idx].tick(at_ms(200), &mut effects);
            for other in (0..n_nodes).filter(|other| *other != idx) {
                fleet.nodes[idx].saw(at_ms(200), sighting(other), &mut effects);
            }
            fleet.obey(200, idx, effects);
        }
        fleet
    }

    fn obey(&mut self, ms: u64, from: usize, effects: Vec<Effect>) {
        for effect in effects {
            let mut answers = Vec::new();
            let to = match effect {
                Effect::Open { link, address, .. } => {
                    self.links[from].insert(link, (idx_of(&address.0), false, ms));
                    continue;
                }
                Effect::Pace { link, slow } => {
                    self.links[from].entry(link).and_modify(|known| (known.1, known.2) = (slow, ms));
                    continue;
                }
                Effect::Tell(event) => {
                    self.told.push((from, event));
                    continue;
                }
                Effect::Greet { address, hello } => {
                    let to = idx_of(&address.0);
                    self.nodes[to].greeted(at_ms(ms), hello, &mut answers);
                    to
                }
                Effect::Doubt { address, doubt, .. } => {
                    self.n_doubts += 1;
                    let to = idx_of(&address.0);
                    if self.hung.contains(&to) {
                        continue;
                    }
                    self.nodes[to].doubted(at_ms(ms), &doubt, &mut answers);
                    to
                }
                _ => continue,
            };
            self.obey(ms, to, answers);
        }
    }

    /// Lets time pass for all that do not hang.
    fn live(&mut self, from_ms: u64, to_ms: u64) {
        for ms in from_ms..to_ms {
            for idx in (0..self.nodes.len()).filter(|idx| !self.hung.contains(idx)).collect::<Vec<_>>() {
                self.give_signs(ms, idx);
                // They do not all look at the same moment.
                if (ms + 7 * idx as u64).is_multiple_of(TICK_MS) {
                    let mut effects = Vec::new();
                    self.nodes[idx].tick(at_ms(ms), &mut effects);
                    self.obey(ms, idx, effects);
                }
            }
        }
    }

    fn give_signs(&mut self, ms: u64, from: usize) {
        let due: Vec<u64> =
            self.links[from].iter().filter(|(_, (.., next))| *next <= ms).map(|(link, _)| *link).collect();
        for link in due {
            let (to, slow, next) = self.links[from].get_mut(&link).unwrap();
            *next = ms + if *slow { 2000 } else { 200 };
            self.n_signs += 1;
            let (to, slow, mut effects) = (*to, *slow, Vec::new());
            let back = self.links[to].iter().find(|(_, (other, ..))| *other == from).map(|(link, _)| *link);
            if let (Some(back), false) = (back, self.hung.contains(&to)) {
                self.nodes[to].heard(back, at_ms(ms), slow, &mut effects);
            }
            self.obey(ms, to, effects);
        }
    }
}

#[test]
fn among_fifty_signs_of_life_are_few_and_one_that_hangs_is_suspected_by_all_within_a_second() {
    let mut fleet = Fleet::of(N);
    fleet.live(250, 5_000);
    assert!(fleet.told.iter().all(|(_, event)| matches!(event, PeerEvent::Up(_))));
    assert_eq!(fleet.told.len(), N * (N - 1));
    fleet.n_signs = 0;
    fleet.live(5_000, 6_000);
    let n_of_all = N * (N - 1) * 5;
    assert!(fleet.n_signs * 5 < n_of_all, "{} in a second, {n_of_all} if all watched all", fleet.n_signs);
    fleet.told.clear();
    let hung = 17;
    fleet.hung.insert(hung);
    fleet.live(6_000, 7_000);
    let suspects = |(idx, event): &(usize, PeerEvent)| match event {
        PeerEvent::Suspected(peer) if peer.name == sighting(hung).peer.name => *idx,
        other => panic!("n{idx} tells {other:?}"),
    };
    let suspicious: BTreeSet<usize> = fleet.told.iter().map(suspects).collect();
    assert_eq!(suspicious.len(), N - 1);
    assert!(fleet.n_doubts <= Times::default().watchers * N, "{} doubts", fleet.n_doubts);
    // It goes on: all trust it again, with its next sign of life.
    fleet.told.clear();
    fleet.hung.clear();
    fleet.live(7_000, 9_100);
    let trusts =
        |(_, event): &&(usize, PeerEvent)| matches!(event, PeerEvent::Trusted(peer) if *peer == sighting(hung).peer);
    assert_eq!(fleet.told.iter().filter(trusts).count(), N - 1);
}

#[test]
fn a_watcher_that_alone_hears_nothing_is_not_believed_by_those_who_know_better() {
    let mut fleet = Fleet::of(N);
    fleet.live(250, 3_000);
    fleet.told.clear();
    let doubt = Doubt { by: "n1".into(), of: "n3".into(), silence_ms: 5_000 };
    let mut effects = Vec::new();
    fleet.nodes[2].doubted(at_ms(3_000), &doubt, &mut effects);
    // Nor is one whom nobody knows.
    let doubt = Doubt { by: "n99".into(), of: "n3".into(), silence_ms: 0 };
    fleet.nodes[2].doubted(at_ms(3_000), &doubt, &mut effects);
    // Nor a silence that is none.
    let doubt = Doubt { by: "n1".into(), of: "n3".into(), silence_ms: 0 };
    fleet.nodes[2].doubted(at_ms(3_000), &doubt, &mut effects);
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn of_two_that_hang_at_once_both_are_suspected_within_a_second() {
    let mut fleet = Fleet::of(6);
    fleet.live(250, 3_000);
    fleet.told.clear();
    let hung = [1, 4];
    fleet.hung.extend(hung);
    fleet.live(3_000, 4_000);
    let suspected = |of: usize| {
        let of = sighting(of).peer;
        let tells = |(_, event): &&(usize, PeerEvent)| matches!(event, PeerEvent::Suspected(peer) if *peer == of);
        fleet.told.iter().filter(tells).map(|(idx, _)| *idx).collect::<BTreeSet<_>>()
    };
    hung.iter().for_each(|of| assert_eq!(suspected(*of), [0, 2, 3, 5].into()));
}
