"""What the countries of numbers are called."""

from __future__ import annotations

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType, geocoder

from migrations_app.rewriting.dialling import country_of

KINDS = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE)


@pytest.mark.parametrize("language", ["", "en", "es", "it", "de", "nb", "zh", "xx"])
def test_a_country_is_called_what_the_library_calls_it(language: str) -> None:
    made = (
        phonenumbers.example_number_for_type(region, kind)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in KINDS
    )
    numbers = [number for number in made if number]
    numbers += [phonenumbers.parse("+80012345678"), phonenumbers.parse("+882161234567")]  # of no country
    ours = {phonenumbers.format_number(number, PhoneNumberFormat.E164): number for number in numbers}
    assert {number: country_of(number, language) for number in ours} == {
        number: geocoder.country_name_for_number(parsed, language) for number, parsed in ours.items()
    }
