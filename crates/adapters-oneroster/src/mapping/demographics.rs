//! `demographics.csv`. The sourcedId is the user's.

use rollcall_domain::Code;
use rollcall_domain::entities::{Demographics, Race};
use rollcall_domain::vocabulary::Sex;

use super::fields::{Cells, Fields, Token};
use crate::csv::table::Column;

const RACE: [Column; 7] = [
    Column::AmericanIndianOrAlaskaNative,
    Column::Asian,
    Column::BlackOrAfricanAmerican,
    Column::NativeHawaiianOrOtherPacificIslander,
    Column::White,
    Column::DemographicRaceTwoOrMoreRaces,
    Column::HispanicOrLatinoEthnicity,
];

pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<Demographics> {
    let sourced_id = fields.sourced_id();
    let birth_date = fields.date(Column::BirthDate);
    let sex = sex(fields);
    let race = Race::from_order(RACE.map(|column| fields.flag(column)));
    Some(Demographics {
        sourced_id: sourced_id?,
        birth_date,
        sex,
        race,
        country_of_birth_code: fields.text(Column::CountryOfBirthCode),
        state_of_birth_abbreviation: fields.text(Column::StateOfBirthAbbreviation),
        city_of_birth: fields.text(Column::CityOfBirth),
        public_school_residence_status: fields.text(Column::PublicSchoolResidenceStatus),
        external_ids: Vec::new(),
        metadata: fields.metadata(),
    })
}

fn sex<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<Sex> {
    match fields.token(Column::Sex, Sex::recognise) {
        Token::Blank => None,
        Token::Known(sex) => Some(sex),
        Token::Respelt(sex) => {
            fields.lenient(Column::Sex, "`female`, `male`, `unspecified` or `other`");
            Some(sex)
        }
        Token::Unknown(_) => {
            fields.warn(
                Code::EnumUnknown,
                Column::Sex,
                "the sex is none of female, male, unspecified and other; it was left out",
            );
            None
        }
    }
}
