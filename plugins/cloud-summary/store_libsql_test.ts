/** The embedded database keeps the contract of `SummaryStore`. */
import { testSummaryStore } from "./_store_contract.ts";
import { testStoreProperties } from "./_store_properties.ts";
import { withLibsqlStore } from "./_temporary_store.ts";

testSummaryStore("libsqlStore()", withLibsqlStore);
testStoreProperties("libsqlStore()", withLibsqlStore);
