-- title: A table that is not complete
-- severity: high
-- owner: operations
-- fix: Look the difference up in sync.counts, let the connection's user see every record, and run fullpicture resync with the table's name.
-- inputs:
-- entity: table
with counted as (
    select
        proof.tool,
        proof.stream,
        proof.counted_by,
        proof.source_rows,
        proof.stored_rows,
        proof.missing_rows,
        proof.reconciled,
        row_number() over (partition by proof.tool, proof.stream order by proof.counted_at desc) as place
    from sync.counts as proof
    join settings.reads as declared on declared.tool = proof.tool and declared.read = proof.read and declared.connected
)

select
    counted.tool || '.' || counted.stream as entity_id,
    cast(null as text) as customer_id,
    cast(null as text) as feature_id,
    counted.tool || '.' || counted.stream || ' holds ' || cast(counted.stored_rows as text) || ' records, where '
    || tools.tool || ' has ' || cast(counted.source_rows as text) as title,
    case
        when counted.missing_rows > 0
            then cast(counted.missing_rows as text) || ' records that the tool lists could not be read. '
        else ''
    end
    || 'Figures that rest on it may be too low or too high. What differs has been read twice.' as detail,
    cast(null as text) as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    tools.url
from counted
join settings.tools as tools on tools.tool = counted.tool
where counted.place = 1 and not counted.reconciled
