use super::*;

#[test]
fn every_board_parses_and_is_named_as_its_file() {
    for key in Board::keys() {
        assert_eq!(Board::named(key).unwrap().key, key);
    }
}

#[test]
fn an_unknown_board_is_refused_with_the_known_ones() {
    let why = Board::named("H100").unwrap_err();
    assert!(why.contains("\"H100\"") && why.contains("H100-80GB"), "{why}");
}

#[test]
fn profile_ids_are_not_the_numbers_of_the_list() {
    let board = Board::named("A100-40GB").unwrap();
    let smallest = board.profiles.iter().find(|profile| profile.name == "1g.5gb").unwrap();
    assert_eq!((smallest.listed, smallest.id), (0, 19));
}

#[test]
fn every_placement_lies_on_the_board() {
    for board in Board::keys().map(|key| Board::named(key).unwrap()) {
        for profile in &board.profiles {
            let last = profile.placements.starts.last().unwrap();
            assert!(
                last + profile.placements.size <= board.slices,
                "{} {}",
                board.key,
                profile.name
            );
        }
    }
}

#[test]
fn seven_slices_can_be_computed_on_in_two_ways() {
    let board = Board::named("H100-80GB").unwrap();
    let whole = board.profile(0).unwrap().compute_profiles();
    let listed: Vec<_> = whole.iter().filter(|c| c.slices == 7).map(|c| c.listed).collect();
    assert_eq!(listed, [4, 8]);
}

#[test]
fn media_extensions_have_a_compute_profile_of_their_own() {
    let board = Board::named("H100-80GB").unwrap();
    let listed = |id| -> Vec<u32> {
        board.profile(id).unwrap().compute_profiles().iter().map(|c| c.listed).collect()
    };
    assert_eq!(listed(19), [0]);
    assert_eq!(listed(20), [0, 7]);
}

/// Compares with a table outside the repository where `DIVVY_SHARED_DATA` names its folder.
#[test]
fn the_boards_agree_with_the_shared_table() {
    let Ok(folder) = std::env::var("DIVVY_SHARED_DATA") else {
        println!("skipped: DIVVY_SHARED_DATA is not set, so there is no table to compare with");
        return;
    };
    let text = std::fs::read_to_string(format!("{folder}/mig-profiles.json")).unwrap();
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for row in table["boards"].as_array().unwrap() {
        let Some(profiles) = with_placements(row) else { continue };
        let board = Board::named(row["key"].as_str().unwrap()).unwrap();
        assert_eq!(u64::from(board.slices), row["placement_units"].as_u64().unwrap());
        assert_eq!(Some(board.mig_mode_needs_reset), row["mig_toggle_needs_gpu_reset"].as_bool());
        assert_eq!(board.profiles.len(), profiles.len());
        for (profile, row) in board.profiles.iter().zip(profiles) {
            assert_same(profile, row);
            compared += 1;
        }
    }
    assert!(compared > 80, "only {compared} profiles were compared");
}

fn with_placements(row: &serde_json::Value) -> Option<&Vec<serde_json::Value>> {
    let profiles = row["profiles"].as_array()?;
    profiles.iter().all(|profile| !profile["placement"].is_null()).then_some(profiles)
}

fn assert_same(profile: &Profile, row: &serde_json::Value) {
    let name = &profile.name;
    assert_eq!(name.as_str(), row["name"].as_str().unwrap());
    let number = |key: &str| row[key].as_u64();
    assert_eq!(Some(profile.id.into()), number("gi_profile_id"), "{name}");
    assert_eq!(Some(profile.listed.into()), number("nvml_enum_index"), "{name}");
    assert_eq!(Some(profile.slices.into()), number("slices"), "{name}");
    assert_eq!(Some(profile.max.into()), number("max_instances"), "{name}");
    let starts: Vec<u64> =
        row["placement"]["starts"].as_array().unwrap().iter().filter_map(|s| s.as_u64()).collect();
    assert_eq!(profile.placements.starts.iter().map(|s| u64::from(*s)).collect::<Vec<_>>(), starts);
    assert_eq!(Some(profile.placements.size.into()), row["placement"]["size"].as_u64());
    let inferred = |what: &str| profile.inferred.iter().any(|known| known == what);
    assert_eq!(inferred("placements"), row["placement"]["confidence"] != "measured", "{name}");
    match row["memory_gib"].as_f64() {
        Some(gib) => assert_eq!(profile.memory_mib as f64, (gib * 1024.0).round(), "{name}"),
        None => assert!(inferred("memory"), "{name}"),
    }
    match number("multiprocessors") {
        Some(known) => assert_eq!(u64::from(profile.multiprocessors), known, "{name}"),
        None => assert!(inferred("multiprocessors"), "{name}"),
    }
    for (engine, have) in
        ["copy", "decoder", "encoder", "jpeg", "ofa"].into_iter().zip(profile.engines)
    {
        match row["engines"][engine].as_u64() {
            Some(known) => assert_eq!(u64::from(have), known, "{name} {engine}"),
            None => assert!(inferred("engines"), "{name} {engine}"),
        }
    }
}
