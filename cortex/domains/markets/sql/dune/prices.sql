-- For Dune, whose SQL is Trino's: save it there with the text parameters `start` and `end`, and name its number.
select
  symbol,
  date_format(minute, '%Y-%m-%d') as date,
  min_by(price, minute) as open,
  max(price) as high,
  min(price) as low,
  max_by(price, minute) as close
from prices.usd
where contract_address is null
  and symbol in ('BTC', 'ETH', 'SOL', 'NEAR', 'AVAX', 'BNB', 'ADA', 'DOT', 'ATOM', 'ALGO', 'XLM', 'XRP', 'LTC', 'BCH')
  and minute >= cast('{{start}}' as timestamp) and minute < cast('{{end}}' as timestamp)
group by 1, 2
order by 1, 2
