-- One row per customer's person with an e-mail address, with the host that the address is at.
-- key: tool, person_id
-- tool text: The tool that knows the person.
-- record_type text: Type of the company record that the person belongs to.
-- record_id text: Id of that company record.
-- person_id text: The person, as in unified.people.
-- host text: What follows the @ of the e-mail address, in lower case.
select
    person.tool,
    record.record_type,
    record.record_id,
    person.person_id,
    person.host
from unified.people as person
join unified.records as record on record.tool = person.tool and record.record_id = person.record_id
where
    person.role in ('contact', 'end-user')
    and person.active
    and not record.deleted
    and person.host is not null
