//! Laws of membership, by simulation: some nodes, a network that loses, delays and doubles greetings, from a seed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at_ms(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn sighting(name: &str, incarnation: u64, group: &str) -> Sighting {
    let peer = Peer { name: name.parse().unwrap(), incarnation, role: Role::Node };
    Sighting { address: Address(format!("{name}#{incarnation}").into()), protocol: PROTOCOL, group: group.into(), peer }
}

fn node(name: &str, incarnation: u64, now: Time) -> Peers {
    Peers::new(sighting(name, incarnation, "g"), "0".into(), format!("place of {name}"), Times::default(), now)
}

/// A member of the group that has settled.
fn member(name: &str, incarnation: u64) -> Peers {
    let mut peers = node(name, incarnation, Time(0));
    let mut effects = Vec::new();
    for ms in (0..=250).step_by(50) {
        peers.tick(at_ms(ms), &mut effects);
    }
    assert!(effects.contains(&Effect::Announce));
    peers
}

fn told(effects: &[Effect]) -> Vec<PeerEvent> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Tell(event) => Some(event.clone()),
        _ => None,
    });
    told.collect()
}

/// Lets two cores speak until they are silent; gives what both wished.
fn talk(now: Time, a: &mut Peers, b: &mut Peers, start: Vec<Effect>) -> (Vec<Effect>, Vec<Effect>) {
    let (mut all_a, mut all_b, mut from_a, mut turn) = (Vec::new(), Vec::new(), start, true);
    while !from_a.is_empty() {
        let mut answers = Vec::new();
        let listener = if turn { &mut *b } else { &mut *a };
        for effect in &from_a {
            match effect {
                Effect::Greet { hello, .. } => listener.greeted(now, hello.clone(), &mut answers),
                Effect::Refuse { refusal, .. } => listener.refused(refusal.clone(), &mut answers),
                _ => {}
            }
        }
        if turn {
            all_a.append(&mut from_a)
        } else {
            all_b.append(&mut from_a)
        }
        (from_a, turn) = (answers, !turn);
    }
    (all_a, all_b)
}

#[test]
fn two_that_see_each_other_are_up_and_know_both_ends_of_their_link() {
    let (mut a, mut b) = (member("a", 1), member("b", 2));
    let mut start = Vec::new();
    a.saw(at_ms(300), sighting("b", 2, "g"), &mut start);
    let (of_a, of_b) = talk(at_ms(300), &mut a, &mut b, start);
    assert_eq!(told(&of_a), [PeerEvent::Up(sighting("b", 2, "g").peer)]);
    assert_eq!(told(&of_b), [PeerEvent::Up(sighting("a", 1, "g").peer)]);
    assert!(of_a.contains(&Effect::Bind { link: 1, theirs: 1 }));
}

#[test]
fn a_console_that_is_gone_leaves_nothing_behind() {
    let mut node = member("a", 1);
    let them = sighting("console-7", 2, "g");
    let them = Sighting { peer: Peer { role: Role::Console, ..them.peer }, ..them };
    let mut console = Peers::new(them.clone(), "0".into(), "none".into(), Times::default(), at_ms(250));
    console.tick(at_ms(250), &mut Vec::new());
    let mut start = Vec::new();
    node.saw(at_ms(300), them.clone(), &mut start);
    talk(at_ms(300), &mut node, &mut console, start);
    let mut effects = Vec::new();
    node.vanished(at_ms(310), &them.address, &mut effects);
    assert!(matches!(told(&effects)[..], [PeerEvent::Down { .. }]));
    assert!(effects.contains(&Effect::Close { link: 1 }), "its link costs a thread: {effects:?}");
}

#[test]
fn greetings_of_peers_that_nobody_sees_cost_only_so_much() {
    let (mut a, mut effects) = (member("a", 1), Vec::new());
    for n in 0..1000 {
        let mut start = Vec::new();
        member(&format!("b{n}"), 2).saw(at_ms(300), sighting("a", 1, "g"), &mut start);
        let Some(Effect::Greet { hello, .. }) = start.pop() else { panic!("it greets: {start:?}") };
        a.greeted(at_ms(300), hello, &mut effects);
    }
    let n_links = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Open { .. })).count();
    assert_eq!(n_links(&effects), UNSEEN_MAX);
    // One that the network shows is let in all the same.
    effects.clear();
    a.saw(at_ms(300), sighting("c", 3, "g"), &mut effects);
    assert_eq!(n_links(&effects), 1);
}

#[test]
fn peers_that_the_network_makes_up_cost_only_so_much() {
    let (mut a, mut effects) = (member("a", 1), Vec::new());
    for n in 0..3 * SILENT_MAX {
        a.saw(at_ms(300), sighting(&format!("b{n}"), 2, "g"), &mut effects);
    }
    let n_links = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Open { .. })).count();
    assert_eq!(n_links(&effects), SILENT_MAX);
    // When one of them is gone, there is room for the next.
    a.vanished(at_ms(400), &sighting("b7", 2, "g").address, &mut effects);
    effects.clear();
    a.saw(at_ms(500), sighting("c", 3, "g"), &mut effects);
    assert_eq!(n_links(&effects), 1);
}

#[test]
fn other_groups_and_protocols_are_refused_and_told_once() {
    let (mut a, mut effects) = (member("a", 1), Vec::new());
    for _ in 0..3 {
        a.saw(at_ms(300), sighting("x", 1, "other"), &mut effects);
        a.saw(at_ms(300), Sighting { protocol: 9, ..sighting("y", 1, "g") }, &mut effects);
        a.garbage("z", "nonsense".into(), &mut effects);
    }
    let refused = told(&effects);
    assert_eq!(effects.len(), 3);
    let group = RefuseReason::Group { theirs: "other".into(), ours: "g".into() };
    assert_eq!(refused[0], PeerEvent::Refused { who: "x".into(), reason: group });
    assert!(matches!(
        &refused[1],
        PeerEvent::Refused { reason: RefuseReason::Protocol { theirs: 9, ours: PROTOCOL }, .. }
    ));
}

#[test]
fn a_name_in_use_is_refused_to_the_second() {
    let (mut first, mut second) = (member("n1", 1), node("n1", 2, at_ms(400)));
    let mut start = Vec::new();
    second.saw(at_ms(410), sighting("n1", 1, "g"), &mut start);
    let (of_second, of_first) = talk(at_ms(410), &mut second, &mut first, start);
    let refusal = Refusal { by: sighting("n1", 1, "g").peer, place: "place of n1".into() };
    assert!(matches!(&of_first[..], [Effect::Refuse { refusal: told, .. }] if *told == refusal));
    assert!(of_second.contains(&Effect::NameInUse(refusal)));
    let mut effects = Vec::new();
    second.tick(at_ms(9000), &mut effects);
    assert!(effects.is_empty(), "who was refused never announces itself");
}

#[test]
fn a_newcomer_takes_the_name_of_one_that_is_dead_or_hangs() {
    for dies in [true, false] {
        let (mut second, mut effects) = (node("n1", 2, at_ms(0)), Vec::new());
        second.saw(at_ms(10), sighting("n1", 1, "g"), &mut effects);
        second.tick(at_ms(250), &mut effects);
        assert!(!effects.contains(&Effect::Announce), "it waits for the answer of the other");
        if dies {
            second.vanished(at_ms(260), &sighting("n1", 1, "g").address, &mut effects);
        }
        second.tick(at_ms(300), &mut effects);
        assert_eq!(effects.contains(&Effect::Announce), dies);
        for ms in (350..=1600).step_by(50) {
            second.tick(at_ms(ms), &mut effects);
        }
        assert!(effects.contains(&Effect::Announce));
    }
}

/// As it was shown by a world of engines: both would keep the name, for nobody tells either of the other again.
#[test]
fn a_newcomer_gives_way_to_a_later_one_that_does_not_answer() {
    let (mut first, mut effects) = (node("n1", 1, at_ms(0)), Vec::new());
    first.saw(at_ms(10), sighting("n1", 2, "g"), &mut effects);
    for ms in (50..=1600).step_by(50) {
        first.tick(at_ms(ms), &mut effects);
    }
    assert!(!effects.contains(&Effect::Announce));
    let gives_way = |effect: &Effect| matches!(effect, Effect::NameInUse(refusal) if refusal.by.incarnation == 2);
    assert!(effects.iter().any(gives_way), "{effects:?}");
}

#[test]
fn a_newcomer_that_slept_still_asks_before_it_takes_a_name() {
    let (mut first, mut second) = (member("n1", 1), node("n1", 2, at_ms(400)));
    let mut effects = Vec::new();
    second.saw(at_ms(410), sighting("n1", 1, "g"), &mut effects);
    effects.clear();
    second.tick(at_ms(5000), &mut effects);
    assert!(!effects.contains(&Effect::Announce));
    let (of_second, _) = talk(at_ms(5000), &mut second, &mut first, effects);
    assert!(of_second.iter().any(|effect| matches!(effect, Effect::NameInUse(_))));
}

#[test]
fn of_two_members_of_one_name_the_later_life_goes_on() {
    let (mut old, mut new, mut effects) = (member("n1", 1), member("n1", 2), Vec::new());
    new.saw(at_ms(300), sighting("n1", 1, "g"), &mut effects);
    assert!(effects.is_empty());
    old.saw(at_ms(300), sighting("n1", 2, "g"), &mut effects);
    assert_eq!(told(&effects), [PeerEvent::NameTaken { by: sighting("n1", 2, "g").peer }]);
}

#[test]
fn a_higher_incarnation_replaces_and_a_lower_one_waits() {
    let (mut a, mut older, mut newer) = (member("a", 1), member("b", 5), member("b", 6));
    let mut start = Vec::new();
    a.saw(at_ms(300), sighting("b", 5, "g"), &mut start);
    talk(at_ms(300), &mut a, &mut older, start);
    let mut start = Vec::new();
    a.saw(at_ms(400), sighting("b", 6, "g"), &mut start);
    let (of_a, _) = talk(at_ms(400), &mut a, &mut newer, start);
    let (five, six) = (sighting("b", 5, "g").peer, sighting("b", 6, "g").peer);
    assert_eq!(told(&of_a), [PeerEvent::Down { peer: five, reason: DownReason::Replaced }, PeerEvent::Up(six)]);
    assert!(of_a.contains(&Effect::Close { link: 1 }));
    let mut start = Vec::new();
    a.saw(at_ms(500), sighting("b", 5, "g"), &mut start);
    let (of_a, _) = talk(at_ms(500), &mut a, &mut older, start);
    assert!(told(&of_a).is_empty(), "a former life is not up beside a later one");
}

#[test]
fn a_hung_peer_is_suspected_within_a_second_and_trusted_when_it_goes_on() {
    let (mut a, mut b) = (member("a", 1), member("b", 2));
    let mut start = Vec::new();
    a.saw(at_ms(300), sighting("b", 2, "g"), &mut start);
    talk(at_ms(300), &mut a, &mut b, start);
    let peer = sighting("b", 2, "g").peer;
    let mut effects = Vec::new();
    for ms in (300..1300).step_by(50) {
        a.tick(at_ms(ms), &mut effects);
    }
    assert_eq!(told(&effects), [PeerEvent::Suspected(peer.clone())]);
    effects.clear();
    a.heard(1, at_ms(1290), false, &mut effects);
    assert_eq!(told(&effects), [PeerEvent::Trusted(peer.clone())]);
    effects.clear();
    for ms in (1300..13_000).step_by(50) {
        a.tick(at_ms(ms), &mut effects);
    }
    assert_eq!(told(&effects)[1], PeerEvent::Down { peer, reason: DownReason::Unreachable });
}

#[test]
fn who_slept_itself_suspects_nobody() {
    let (mut a, mut b) = (member("a", 1), member("b", 2));
    let mut start = Vec::new();
    a.saw(at_ms(300), sighting("b", 2, "g"), &mut start);
    talk(at_ms(300), &mut a, &mut b, start);
    let mut effects = Vec::new();
    a.tick(at_ms(350), &mut effects);
    a.tick(at_ms(60_000), &mut effects);
    assert!(told(&effects).is_empty());
}

#[test]
fn a_tick_that_is_late_does_not_put_off_a_suspicion() {
    let (mut a, mut b) = (member("a", 1), member("b", 2));
    let mut start = Vec::new();
    a.saw(at_ms(300), sighting("b", 2, "g"), &mut start);
    talk(at_ms(300), &mut a, &mut b, start);
    let mut effects = Vec::new();
    a.tick(at_ms(350), &mut effects);
    // Frames are taken while the tick is late; then the peer hangs.
    a.heard(1, at_ms(1290), false, &mut effects);
    for ms in (1300..2100).step_by(50) {
        a.tick(at_ms(ms), &mut effects);
    }
    assert_eq!(told(&effects), [PeerEvent::Suspected(sighting("b", 2, "g").peer)]);
}

#[test]
fn a_link_is_kept_through_a_cut_and_given_up_after_a_while() {
    let (mut a, mut b) = (member("a", 1), member("b", 2));
    let mut start = Vec::new();
    a.saw(at_ms(300), sighting("b", 2, "g"), &mut start);
    talk(at_ms(300), &mut a, &mut b, start);
    let (address, mut effects) = (sighting("b", 2, "g").address, Vec::new());
    a.vanished(at_ms(400), &address, &mut effects);
    let mut back = Vec::new();
    a.saw(at_ms(5400), sighting("b", 2, "g"), &mut back);
    let (of_a, _) = talk(at_ms(5400), &mut a, &mut b, back);
    assert!(of_a.contains(&Effect::Bind { link: 1, theirs: 1 }), "the same link goes on");
    assert_eq!(told(&of_a), [PeerEvent::Up(sighting("b", 2, "g").peer)]);
    effects.clear();
    a.vanished(at_ms(6000), &address, &mut effects);
    for ms in (6000..70_000).step_by(100) {
        a.tick(at_ms(ms), &mut effects);
    }
    assert!(effects.contains(&Effect::Close { link: 1 }));
    // The same incarnation comes back after all, and the other still believes in the link: both agree on a new one.
    let mut back = Vec::new();
    a.saw(at_ms(70_000), sighting("b", 2, "g"), &mut back);
    let (of_a, of_b) = talk(at_ms(70_000), &mut a, &mut b, back);
    assert!(of_a.contains(&Effect::Bind { link: 2, theirs: 1 }));
    assert!(of_b.contains(&Effect::Bind { link: 1, theirs: 2 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_dies_falsely_while_signs_of_life_arrive_within_the_bound(gaps in prop::collection::vec(1u64..690, 1..60), tick in 10u64..300) {
        let (mut a, mut b) = (member("a", 1), member("b", 2));
        let mut start = Vec::new();
        a.saw(at_ms(300), sighting("b", 2, "g"), &mut start);
        talk(at_ms(300), &mut a, &mut b, start);
        let (mut effects, mut now) = (Vec::new(), 300);
        for gap in gaps {
            let next = now + gap;
            let mut ticked = now;
            while ticked < next {
                a.tick(at_ms(ticked), &mut effects);
                ticked += tick;
            }
            a.heard(1, at_ms(next), false, &mut effects);
            now = next;
        }
        prop_assert!(told(&effects).is_empty(), "{:?}", told(&effects));
    }

    #[test]
    fn whatever_happens_to_greetings_all_are_up_in_the_end(seed in 1u64.., n in 2usize..5, loss in 0u64..40) {
        let mut dice = seed;
        let mut roll = |n: u64| { dice ^= dice << 13; dice ^= dice >> 7; dice ^= dice << 17; dice % n };
        let names = ["a", "b", "c", "d"];
        let mut nodes: Vec<Peers> = (0..n).map(|idx| node(names[idx], idx as u64 + 1, Time(0))).collect();
        let mut air: BTreeMap<(u64, u64), (usize, Hello)> = BTreeMap::new();
        let (mut up, mut links) = (vec![0i32; n], vec![BTreeMap::new(); n]);
        let mut count = 0;
        for ms in 0..30_000u64 {
            let mut wishes: Vec<(usize, Vec<Effect>)> = Vec::new();
            while let Some(entry) = air.first_entry().filter(|entry| entry.key().0 <= ms) {
                let (to, hello) = entry.remove();
                let mut effects = Vec::new();
                nodes[to].greeted(at_ms(ms), hello, &mut effects);
                wishes.push((to, effects));
            }
            for (idx, node) in nodes.iter_mut().enumerate().filter(|_| ms % 50 == 0) {
                let mut effects = Vec::new();
                for link in 0..10 { node.heard(link, at_ms(ms), false, &mut effects); }
                node.tick(at_ms(ms), &mut effects);
                wishes.push((idx, effects));
            }
            while let Some((from, effects)) = wishes.pop() {
                for effect in effects {
                    match effect {
                        Effect::Greet { address, hello } if roll(100) >= loss => {
                            let to = names.iter().position(|name| address.0.starts_with(name)).unwrap();
                            for _ in 0..=roll(2) { count += 1; air.insert((ms + 1 + roll(400), count), (to, hello.clone())); }
                        }
                        Effect::Announce => for (other, node) in nodes.iter_mut().enumerate().filter(|(other, _)| *other != from) {
                            let mut effects = Vec::new();
                            node.saw(at_ms(ms), sighting(names[from], from as u64 + 1, "g"), &mut effects);
                            wishes.push((other, effects));
                        },
                        Effect::Tell(PeerEvent::Up(_)) => up[from] += 1,
                        Effect::Tell(PeerEvent::Down { .. }) => up[from] -= 1,
                        Effect::Bind { link, theirs } => { links[from].insert(link, theirs); }
                        _ => {}
                    }
                }
            }
        }
        prop_assert_eq!(up, vec![n as i32 - 1; n]);
        prop_assert!(links.iter().all(|links| links.len() == n - 1));
    }
}
