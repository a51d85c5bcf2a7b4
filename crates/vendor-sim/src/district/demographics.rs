use jiff::ToSpan;
use jiff::civil::Date;
use rollcall_domain::Text;
use rollcall_domain::entities::{Demographics, Metadata, Race};
use rollcall_domain::vocabulary::Sex;

use super::District;
use super::names::CITIES;
use super::people::Person;
use super::plan::Plan;
use crate::random::{Draw, Purpose};

impl District {
    pub(super) fn demographics(&self) -> impl Iterator<Item = Demographics> + '_ {
        self.students().map(|student| self.demographics_of(student))
    }

    fn demographics_of(&self, student: usize) -> Demographics {
        let mut draw = Draw::new(self.seed, Purpose::Demographics, &[student]);
        let sex = match (draw.below(200), self.is_female(Person::Student(student))) {
            (0, _) => Sex::Unspecified,
            (1, _) => Sex::OtherSex,
            (_, true) => Sex::Female,
            (_, false) => Sex::Male,
        };
        let (country, state, city) = *draw.pick(CITIES);
        let some = |text: &'static str| (!text.is_empty()).then(|| Text::const_new(text));
        Demographics {
            sourced_id: self.user_id(Person::Student(student)),
            birth_date: Some(birth_date(&mut draw, Plan::grade_of(student))),
            sex: Some(sex),
            race: race(&mut draw),
            country_of_birth_code: some(country),
            state_of_birth_abbreviation: some(state),
            city_of_birth: some(city),
            public_school_residence_status: draw.percent(90).then(|| Text::const_new("01652")),
            external_ids: Vec::new(),
            metadata: Metadata::new(),
        }
    }
}

/// Who is in grade KG turned five in the year before the second of September.
fn birth_date(draw: &mut Draw, grade: usize) -> Date {
    let year = 2021 - i16::try_from(grade).unwrap_or_default();
    let days = i64::try_from(draw.below(365)).unwrap_or_default();
    Date::constant(year, 9, 1).saturating_sub(days.days())
}

fn race(draw: &mut Draw) -> Race {
    // Some leave the question open.
    if draw.percent(5) {
        return Race::default();
    }
    let mut stated = [false; 5];
    stated[draw.below(5)] = true;
    if draw.percent(8) {
        stated[draw.below(5)] = true;
    }
    let several = stated.iter().filter(|&&one| one).count() > 1;
    let [native, asian, black, islander, white] = stated.map(Some);
    Race::from_order([native, asian, black, islander, white, Some(several), Some(draw.percent(25))])
}
