-- Dollars that were swapped on Solana's exchanges each day, where the price of what was sold is known.
select
  cast(cast(block_timestamp as date) as varchar) as date,
  sum(swap_from_amount_usd) as swaps
from solana.defi.ez_dex_swaps
where block_timestamp >= :start and block_timestamp < :end
  and swap_from_amount_usd is not null
group by 1
order by 1
