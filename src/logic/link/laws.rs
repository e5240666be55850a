//! Laws of the link, by simulation: two ends and a network that does its worst, from a seed.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// A small generator of numbers: the simulation must be the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[derive(Clone, Copy, Debug)]
struct Weather {
    loss_percent: u64,
    double_percent: u64,
    delay_max_us: u64,
    cut: Option<(u64, u64)>,
}

struct End {
    link: Link,
    assemblers: [Assembler; 2],
    got: [Vec<Bytes>; 2],
}

struct World {
    now: Time,
    dice: Dice,
    weather: Weather,
    ends: [End; 2],
    air: BTreeMap<(Time, u64), (usize, Bytes)>,
    n_frames: u64,
    consume: bool,
}

impl World {
    fn new(seed: u64, weather: Weather, limits: Limits) -> World {
        let end = |mine, theirs| {
            let mut link = Link::new(mine, limits, Time(0));
            link.bind(theirs, Time(0));
            End { link, assemblers: Lane::ALL.map(Assembler::new), got: Default::default() }
        };
        let ends = [end(1, 2), end(2, 1)];
        World { now: Time(0), dice: Dice(seed | 1), weather, ends, air: BTreeMap::new(), n_frames: 0, consume: true }
    }

    fn drain(&mut self, from: usize) {
        let is_due = self.ends[from].link.deadline() <= self.now;
        while let Some((_, frame)) = self.ends[from].link.poll(self.now) {
            assert!(is_due, "whoever waits for the deadline would have missed this frame");
            self.n_frames += 1;
            assert!(frame.len() <= FRAME_MAX_BYTES);
            let cut = self.weather.cut.is_some_and(|(a, b)| (a..b).contains(&self.now.0));
            if cut || self.dice.roll(100) < self.weather.loss_percent {
                continue;
            }
            let copies = 1 + u64::from(self.dice.roll(100) < self.weather.double_percent);
            for copy in 0..copies {
                let at = self.now + Duration::from_micros(1 + self.dice.roll(self.weather.delay_max_us));
                self.air.insert((at, self.n_frames * 2 + copy), (1 - from, frame.clone()));
            }
        }
    }

    /// Goes to the next moment at which something happens; false when that is after `end`.
    fn step(&mut self, end: Time) -> bool {
        self.drain(0);
        self.drain(1);
        let arrival = self.air.keys().next().map_or(Time::NEVER, |(at, _)| *at);
        let wish = self.ends.iter().map(|end| end.link.deadline()).min().unwrap_or(Time::NEVER);
        self.now = arrival.min(wish).max(self.now);
        if self.now > end {
            return false;
        }
        while let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, frame) = entry.remove();
            self.arrive(to, frame);
        }
        true
    }

    fn arrive(&mut self, to: usize, frame: Bytes) {
        let header = Header::read(&frame).unwrap();
        let (end, mut ready) = (&mut self.ends[to], Vec::new());
        assert!(end.link.receive(self.now, &header, frame.slice(Header::LEN..), &mut ready));
        for (lane, payload) in ready {
            if self.consume {
                end.link.consumed(lane, payload.len());
            }
            let got = &mut end.got[lane.idx()];
            end.assemblers[lane.idx()].read(payload, |message| got.push(message)).unwrap();
        }
    }
}

fn message(from: usize, lane: Lane, number: u64, size: usize) -> Bytes {
    let mut bytes = vec![from as u8, lane.idx() as u8];
    bytes.extend(number.to_le_bytes());
    bytes.resize(size.max(10), number as u8);
    bytes.into()
}

fn weather() -> impl Strategy<Value = Weather> {
    let cut = prop::option::of((0u64..500_000, 0u64..3_000_000).prop_map(|(at, span)| (at, at + span)));
    (0u64..40, 0u64..30, 1u64..80_000, cut).prop_map(|(loss_percent, double_percent, delay_max_us, cut)| Weather {
        loss_percent,
        double_percent,
        delay_max_us,
        cut,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everything_sent_arrives_once_and_in_order_per_lane(seed in any::<u64>(), weather in weather()) {
        let mut world = World::new(seed, weather, Limits::default());
        let mut sent: [[Vec<Bytes>; 2]; 2] = Default::default();
        let end = Time::from_ms(120_000);
        for number in 0..400 {
            let (from, lane) = (world.dice.roll(2) as usize, Lane::ALL[world.dice.roll(2) as usize]);
            let size = match world.dice.roll(40) { 0 => world.dice.roll(400_000), 1..5 => world.dice.roll(20_000), _ => 32 };
            let message = message(from, lane, number, size as usize);
            let head = world.dice.roll(10) as usize;
            if world.ends[from].link.push(lane, &message[..head], &message.slice(head..), false).is_ok() {
                sent[from][lane.idx()].push(message);
            }
            if world.dice.roll(4) == 0 {
                world.step(end);
            }
        }
        while !world.ends.iter().all(|end| end.link.is_flushed()) {
            prop_assert!(world.step(end), "the links do not come to rest");
        }
        for (from, sent) in sent.iter().enumerate() {
            for (lane, sent) in sent.iter().enumerate() {
                prop_assert!(world.ends[1 - from].got[lane] == *sent);
            }
        }
        prop_assert_eq!(world.ends[0].link.queued_bytes(), 0);
    }

    #[test]
    fn a_stuck_receiver_bounds_memory_at_both_ends(seed in any::<u64>(), size in 10usize..200_000) {
        let clear = Weather { loss_percent: 0, double_percent: 0, delay_max_us: 500, cut: None };
        let limits = Limits::default();
        let mut world = World::new(seed, clear, limits);
        world.consume = false;
        let mut accepted = 0;
        for number in 0.. {
            let message = message(0, Lane::Bulk, number, size);
            if world.ends[0].link.push(Lane::Bulk, &[], &message, false).is_ok() {
                accepted += 1;
            } else if !world.step(Time::from_ms(300)) {
                break;
            }
        }
        let got: usize = world.ends[1].got[1].iter().map(Bytes::len).sum();
        prop_assert!(got <= limits.window_bytes[1] + FRAME_MAX_BYTES);
        prop_assert!(world.ends[0].link.queued_bytes() <= limits.queue_bytes[1] + limits.window_bytes[1] + 300_000);
        // The control lane is not held back by the bulk lane.
        let urgent = message(0, Lane::Control, 0, 32);
        world.ends[0].link.push(Lane::Control, &[], &urgent, false).unwrap();
        let end = world.now + Duration::from_millis(5);
        while world.ends[1].got[0].is_empty() {
            prop_assert!(world.step(end));
        }
        // When the receiver goes on, everything that was accepted arrives.
        world.consume = true;
        let held: usize = limits.window_bytes[1] * 2;
        world.ends[1].link.consumed(Lane::Bulk, held);
        while !world.ends[0].link.is_flushed() {
            prop_assert!(world.step(world.now + Duration::from_secs(60)));
        }
        prop_assert_eq!(world.ends[1].got[1].len(), accepted);
    }

    #[test]
    fn strange_frames_change_nothing(seed in any::<u64>(), numbers in any::<[u64; 6]>(), kind in 0u8..12, small in any::<bool>()) {
        let clear = Weather { loss_percent: 0, double_percent: 0, delay_max_us: 500, cut: None };
        let mut world = World::new(seed, clear, Limits::default());
        let first = message(0, Lane::Bulk, 1, 100);
        world.ends[0].link.push(Lane::Bulk, &[], &first, false).unwrap();
        world.step(Time::from_ms(50));
        let mut frame = vec![0; Header::LEN + 8];
        Header::plain(Kind::Ack).write(&mut frame);
        frame[2] = kind;
        let mut header = Header::read(&frame).unwrap();
        let n = numbers.map(|n| if small { n % 4 } else { n });
        (header.from, header.to, header.seq, header.acks, header.grants) = (n[0], n[1], n[2], [n[3], n[4]], [n[5], 0]);
        // Whatever a stranger says, the link neither panics nor takes it.
        prop_assert!((header.from, header.to) == (2, 1) || !world.ends[0].link.receive(world.now, &header, Bytes::new(), &mut Vec::new()));
        // Even a peer that lies only harms itself: no panic, and bounded memory.
        (header.from, header.to) = (2, 1);
        world.ends[0].link.receive(world.now, &header, Bytes::from_static(&[0; 8]), &mut Vec::new());
        for _ in 0..50 {
            world.drain(0);
            world.now = world.now + Duration::from_millis(20);
        }
    }
}

/// A frame of two ends that are bound, `from` 2 `to` 1.
fn frame_of_the_peer(kind: Kind, seq: u64, grants: [u64; 2]) -> Header {
    let mut bytes = vec![0; Header::LEN];
    Header::plain(kind).write(&mut bytes);
    let mut header = Header::read(&bytes).unwrap();
    (header.from, header.to, header.seq, header.grants) = (2, 1, seq, grants);
    header
}

#[test]
fn a_peer_that_sends_more_than_it_was_granted_is_not_heard() {
    let (mut link, limits) = (Link::new(1, Limits::default(), Time(0)), Limits::default());
    link.bind(2, Time(0));
    let mut ready = Vec::new();
    for seq in 0..200 {
        let header = frame_of_the_peer(Kind::Data(Lane::Bulk), seq, [0, 0]);
        link.receive(Time(seq), &header, Bytes::from(vec![0; 60_000]), &mut ready);
    }
    let n_bytes: usize = ready.iter().map(|(_, payload)| payload.len()).sum();
    let window = limits.window_bytes[Lane::Bulk.idx()];
    assert!((window..window + FRAME_MAX_BYTES).contains(&n_bytes), "{n_bytes}");
    let header = frame_of_the_peer(Kind::Data(Lane::Control), 0, [0, 0]);
    ready.clear();
    link.receive(Time(300), &header, Bytes::new(), &mut ready);
    assert!(ready.is_empty(), "what is empty costs no grant");
}

#[test]
fn a_grant_of_any_size_lets_no_more_go_than_a_window() {
    let (mut link, limits) = (Link::new(1, Limits::default(), Time(0)), Limits::default());
    link.bind(2, Time(0));
    link.receive(Time(0), &frame_of_the_peer(Kind::Ack, 0, [u64::MAX; 2]), Bytes::new(), &mut Vec::new());
    let window = limits.window_bytes[Lane::Bulk.idx()];
    let body = Bytes::from(vec![0; 60_000]);
    while link.push(Lane::Bulk, &[], &body, false).is_ok() {}
    let mut n_bytes = 0;
    while let Some((_, frame)) = link.poll(Time(1)) {
        n_bytes += frame.len();
    }
    assert!((window..window + 2 * FRAME_MAX_BYTES).contains(&n_bytes), "{n_bytes}");
}

#[test]
fn a_link_that_starts_anew_tells_its_slow_pace_again() {
    let mut link = Link::new(1, Limits::default(), Time(0));
    link.set_pace(true);
    let tells = |link: &mut Link, now: Time| {
        let frames: Vec<Bytes> = std::iter::from_fn(|| link.poll(now)).map(|(_, frame)| frame).collect();
        frames.iter().any(|frame| Header::read(frame).is_ok_and(|header| header.kind == Kind::Ack && header.seq == 1))
    };
    link.bind(5, Time(0));
    assert!(tells(&mut link, Time(1)) && !tells(&mut link, Time(2)));
    link.bind(6, Time(3));
    assert!(tells(&mut link, Time(4)), "the peer knows nothing of what was told to its former link");
}

#[test]
fn an_idle_link_is_silent_but_for_its_heartbeat() {
    let clear = Weather { loss_percent: 0, double_percent: 0, delay_max_us: 500, cut: None };
    let mut world = World::new(7, clear, Limits::default());
    world.ends[0].link.push(Lane::Control, &[], &Bytes::from_static(b"hello"), false).unwrap();
    while world.step(Time::from_ms(10_000)) {}
    assert!(world.n_frames <= 2 * 50 + 4, "{} frames in 10 s", world.n_frames);
}

#[test]
fn many_small_messages_share_frames_and_acknowledgements() {
    let clear = Weather { loss_percent: 0, double_percent: 0, delay_max_us: 200, cut: None };
    let mut world = World::new(7, clear, Limits::default());
    let small = Bytes::from_static(&[1; 32]);
    for _ in 0..50_000 {
        world.ends[0].link.push(Lane::Bulk, &[], &small, false).unwrap();
    }
    while !world.ends[0].link.is_flushed() {
        assert!(world.step(Time::from_ms(1000)));
    }
    assert_eq!(world.ends[1].got[1].len(), 50_000);
    assert!(world.n_frames < 45, "{} frames", world.n_frames);
}

#[test]
fn a_peer_that_forgot_us_starts_anew_and_the_loss_is_counted() {
    let mut link = Link::new(1, Limits::default(), Time(0));
    for _ in 0..3 {
        link.push(Lane::Control, &[], &Bytes::from_static(b"early"), false).unwrap();
    }
    assert_eq!(link.bind(5, Time(0)), 0, "what was pushed before the first contact goes out");
    assert!(link.poll(Time(0)).is_some());
    link.push(Lane::Bulk, &[], &Bytes::from(vec![0; 200_000]), false).unwrap();
    assert_eq!(link.bind(6, Time(1)), 4);
    assert!(link.is_flushed());
    assert_eq!(link.counts().lost, 4);
}

#[test]
fn the_busier_a_link_is_the_fuller_are_its_frames() {
    let clear = Weather { loss_percent: 0, double_percent: 0, delay_max_us: 200, cut: None };
    let mut world = World::new(7, clear, Limits::default());
    let small = Bytes::from_static(&[1; 32]);
    // However eagerly it is polled, what is pushed while two frames are under way shares the next one.
    for _ in 0..400 {
        world.ends[0].link.push(Lane::Bulk, &[], &small, false).unwrap();
        world.drain(0);
    }
    assert_eq!(world.n_frames, 2);
    while world.ends[1].got[1].len() < 400 {
        assert!(world.step(Time::from_ms(2)), "the acknowledgement that it waits for is not delayed");
    }
}

#[test]
fn a_frame_may_skip_the_outbox_only_when_nothing_is_under_way() {
    let (mut link, body) = (Link::new(1, Limits::default(), Time(0)), Bytes::from_static(b"x"));
    link.push(Lane::Control, &[], &body, false).unwrap();
    assert_eq!(link.poll_idle(Lane::Control, Time(0)), None, "nobody is there yet");
    link.bind(2, Time(0));
    assert!(link.poll_idle(Lane::Control, Time(0)).is_some());
    link.push(Lane::Control, &[], &body, false).unwrap();
    assert_eq!(link.poll_idle(Lane::Control, Time(0)), None);
    link.push(Lane::Bulk, &[], &body, false).unwrap();
    assert!(link.poll_idle(Lane::Bulk, Time(0)).is_some(), "the lanes do not hold each other up");
}
