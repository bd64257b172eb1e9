use super::*;
use std::collections::{BTreeSet, HashMap};

fn board(key: &str) -> Board {
    Board::named(key).unwrap()
}

fn id(board: &Board, name: &str) -> u32 {
    board.profiles.iter().find(|profile| profile.name == name).unwrap().id
}

fn at(start: u32) -> Wish {
    Wish { start: Some(start), ..Wish::default() }
}

/// Makes the instances one after the other; serials count from 1.
fn make(board: &Board, wanted: &[(&str, u32)]) -> Result<Vec<GpuInstance>, Code> {
    let mut instances = vec![];
    for (serial, (name, start)) in (1..).zip(wanted) {
        create_gpu_instance(board, &mut instances, id(board, name), at(*start), serial)?;
    }
    Ok(instances)
}

#[test]
fn a_taken_slice_is_refused() {
    let a100 = board("A100-40GB");
    for second in [("1g.5gb", 2), ("2g.10gb", 2), ("4g.20gb", 0), ("7g.40gb", 0)] {
        let both = make(&a100, &[("3g.20gb", 0), second]);
        assert_eq!(both, Err(Code::INSUFFICIENT_RESOURCES), "{second:?}");
    }
    assert!(make(&a100, &[("3g.20gb", 0), ("3g.20gb", 4)]).is_ok());
}

#[test]
fn a_place_that_the_profile_lacks_is_no_argument() {
    let a100 = board("A100-40GB");
    assert_eq!(make(&a100, &[("3g.20gb", 1)]), Err(Code::INVALID_ARGUMENT));
    assert_eq!(make(&a100, &[("1g.5gb", 7)]), Err(Code::INVALID_ARGUMENT));
    let wish = Wish { start: Some(0), size: Some(3), id: None };
    let wrong_size = create_gpu_instance(&a100, &mut vec![], id(&a100, "3g.20gb"), wish, 1);
    assert_eq!(wrong_size, Err(Code::INVALID_ARGUMENT));
}

#[test]
fn media_engines_run_out() {
    let a30 = board("A30-24GB");
    let twice = make(&a30, &[("1g.6gb+me", 0), ("1g.6gb+me", 1)]);
    assert_eq!(twice, Err(Code::INSUFFICIENT_RESOURCES));
    let two_profiles = make(&a30, &[("1g.6gb+me", 0), ("2g.12gb+me", 2)]);
    assert_eq!(two_profiles, Err(Code::INSUFFICIENT_RESOURCES), "there is one JPEG engine");
    assert!(make(&a30, &[("1g.6gb+me", 0), ("2g.12gb", 2)]).is_ok());
}

#[test]
fn who_takes_all_media_engines_leaves_room_for_those_that_want_none() {
    let rtx = board("RTX-PRO-6000-96GB");
    let beside = |name| make(&rtx, &[("1g.24gb+me.all", 0), (name, 3)]);
    assert_eq!(beside("1g.24gb"), Err(Code::INSUFFICIENT_RESOURCES));
    assert!(beside("1g.24gb-me").is_ok());
}

/// As listed by nvidia-smi on A100 (3g, 2g and 1g together; seven 1g) and, for four 1g, on A30.
#[test]
fn ids_are_those_that_drivers_gave() {
    let a100 = board("A100-40GB");
    let ids = |instances: &[GpuInstance]| -> Vec<(u32, u32)> {
        instances.iter().map(|instance| (instance.start, instance.id)).collect()
    };
    let mixed = make(&a100, &[("3g.20gb", 0), ("2g.10gb", 4), ("1g.5gb", 6)]).unwrap();
    assert_eq!(ids(&mixed), [(0, 2), (4, 3), (6, 9)]);
    let small: Vec<_> = (0..7).map(|start| ("1g.5gb", start)).collect();
    let small = make(&a100, &small).unwrap();
    assert_eq!(ids(&small), [(4, 7), (5, 8), (6, 9), (0, 11), (1, 12), (2, 13), (3, 14)]);
    let a30 = board("A30-24GB");
    let small: Vec<_> = (0..4).map(|start| ("1g.6gb", start)).collect();
    assert_eq!(ids(&make(&a30, &small).unwrap()), [(2, 3), (3, 4), (0, 5), (1, 6)]);
}

#[test]
fn no_two_places_of_a_layout_share_an_id() {
    for key in Board::keys() {
        let board = board(key);
        for layout in layouts(&board) {
            let wanted: Vec<_> = layout.iter().map(|(id, start)| (*id, *start)).collect();
            let mut instances = vec![];
            for (serial, (profile, start)) in (1..).zip(wanted) {
                create_gpu_instance(&board, &mut instances, profile, at(start), serial).unwrap();
            }
            let ids: BTreeSet<_> = instances.iter().map(|instance| instance.id).collect();
            assert_eq!(ids.len(), layout.len(), "{key} {layout:?}");
        }
    }
}

type Layout = BTreeSet<(u32, u32)>;

/// Every layout that single creations can reach, as sets of (profile id, start). Instances that
/// differ from another only by media engines count as that one.
fn layouts(board: &Board) -> BTreeSet<Layout> {
    let plain = |profile: &&Profile| !profile.name.contains(['+', '-']);
    let profiles: Vec<_> = board.profiles.iter().filter(plain).collect();
    let mut known = BTreeSet::from([Layout::new()]);
    let mut open = vec![(Layout::new(), vec![])];
    while let Some((layout, instances)) = open.pop() {
        for profile in &profiles {
            for start in &profile.placements.starts {
                let mut next = instances.clone();
                if create_gpu_instance(board, &mut next, profile.id, at(*start), 1).is_err() {
                    continue;
                }
                let mut with = layout.clone();
                with.insert((profile.id, *start));
                if known.insert(with.clone()) {
                    open.push((with, next));
                }
            }
        }
    }
    known
}

#[test]
fn an_a100_has_723_layouts() {
    assert_eq!(layouts(&board("A100-40GB")).len(), 723, "the empty one counted");
}

#[test]
fn what_remains_is_what_can_be_made() {
    for key in ["A30-24GB", "A100-40GB", "RTX-PRO-6000-96GB"] {
        let board = board(key);
        for profile in &board.profiles {
            let mut instances = vec![];
            let mut made = 0;
            let expected = remaining(&board, &instances, profile);
            while create_gpu_instance(&board, &mut instances, profile.id, Wish::default(), 1)
                .is_ok()
            {
                made += 1;
                assert_eq!(remaining(&board, &instances, profile), expected - made);
            }
            assert_eq!((made, expected), (profile.max, profile.max), "{key} {}", profile.name);
        }
    }
}

#[test]
fn a_gpu_instance_that_holds_a_compute_instance_is_in_use() {
    let a100 = board("A100-40GB");
    let mut instances = make(&a100, &[("3g.20gb", 4)]).unwrap();
    create_compute_instance(&a100, &mut instances, (1, 2), Wish::default(), 2).unwrap();
    assert_eq!(destroy_gpu_instance(&mut instances, 1), Err(Code::IN_USE));
    destroy_compute_instance(&mut instances, 1, 0).unwrap();
    assert_eq!(destroy_gpu_instance(&mut instances, 1), Ok(()));
    assert_eq!(destroy_gpu_instance(&mut instances, 1), Err(Code::NOT_FOUND));
}

#[test]
fn compute_slices_run_out_and_ids_and_indices_are_used_again() {
    let a100 = board("A100-40GB");
    let mut instances = make(&a100, &[("3g.20gb", 0), ("1g.5gb", 4)]).unwrap();
    let mut compute =
        |gi| create_compute_instance(&a100, &mut instances, (gi, 0), Wish::default(), 1);
    assert_eq!([compute(2), compute(2), compute(2)], [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(compute(2), Err(Code::INSUFFICIENT_RESOURCES));
    assert_eq!(compute(7), Ok(0));
    destroy_compute_instance(&mut instances, 2, 1).unwrap();
    assert_eq!(create_compute_instance(&a100, &mut instances, (2, 0), Wish::default(), 1), Ok(1));
    let of_index: HashMap<_, _> = instances
        .iter()
        .flat_map(|instance| instance.compute.iter().map(|compute| (compute.index, instance.id)))
        .collect();
    assert_eq!(of_index, HashMap::from([(0, 2), (1, 2), (2, 2), (3, 7)]));
}

#[test]
fn a_uuid_is_a_function_of_its_ids() {
    let gpu = gpu_uuid("H100-80GB", 0);
    let same = uuid(&gpu, 7, 0);
    assert_eq!(same, uuid(&gpu, 7, 0));
    let others = [uuid(&gpu, 7, 1), uuid(&gpu, 8, 0), uuid(&gpu_uuid("H100-80GB", 1), 7, 0)];
    assert!(!others.contains(&same));
    let digits: Vec<_> = same.strip_prefix("MIG-").unwrap().split('-').collect();
    assert_eq!(digits.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert!(digits[2].starts_with('5') && digits[3].starts_with(['8', '9', 'a', 'b']), "{same}");
}
