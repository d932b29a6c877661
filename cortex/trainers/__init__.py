"""The trainers, Axolotl and TRL: their configurations, and the programs that train."""
